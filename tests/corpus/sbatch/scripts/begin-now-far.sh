#!/bin/bash
#SBATCH -b now+99999999999
srun ./program
