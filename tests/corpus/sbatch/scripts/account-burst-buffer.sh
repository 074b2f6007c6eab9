#!/bin/bash
#SBATCH --bb=capacity=1G
srun ./program
