#!/bin/bash
#SBATCH -a ""
srun ./program
