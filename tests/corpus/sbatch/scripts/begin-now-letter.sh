#!/bin/bash
#SBATCH -b now+1h
srun ./program
